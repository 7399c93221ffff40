// What the report's code needs of Android, by developer.android.com/reference.
package android.graphics

class Bitmap private constructor(val width: Int, height: Int) {
    val pixels = IntArray(width * height)

    fun setPixel(x: Int, y: Int, color: Int) {
        pixels[width * y + x] = color
    }

    enum class Config { ARGB_8888 }

    companion object {
        @JvmStatic
        fun createBitmap(width: Int, height: Int, config: Config) = Bitmap(width, height)
    }
}

object Color {
    @JvmStatic
    fun rgb(red: Int, green: Int, blue: Int): Int {
        for (value in listOf(red, green, blue)) require(value in 0..255)
        return (255 shl 24) or (red shl 16) or (green shl 8) or blue
    }
}
