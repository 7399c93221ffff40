// What the report's code needs of Android, by developer.android.com/reference.
package android.graphics

class Bitmap private constructor(val pixels: IntArray, val width: Int, val height: Int) {
    fun setPixel(x: Int, y: Int, color: Int) {
        pixels[width * y + x] = color
    }

    fun getPixels(
        pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int
    ) {
        require(x >= 0 && y >= 0 && x + width <= this.width && y + height <= this.height)
        for (row in 0 until height) {
            val start = this.width * (y + row) + x
            this.pixels.copyInto(pixels, offset + row * stride, start, start + width)
        }
    }

    enum class Config { ARGB_8888 }

    companion object {
        @JvmStatic
        fun createBitmap(width: Int, height: Int, config: Config) =
            Bitmap(IntArray(width * height), width, height)

        @JvmStatic
        fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config) =
            Bitmap(colors.copyOf(), width, height)
    }
}

object Color {
    @JvmStatic
    fun rgb(red: Int, green: Int, blue: Int): Int {
        for (value in listOf(red, green, blue)) require(value in 0..255)
        return (255 shl 24) or (red shl 16) or (green shl 8) or blue
    }
}
