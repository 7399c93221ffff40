// Runs the report's code; prints accelerators, pixels, and handles that stay open, then what
// the encoders get of a photo: its width and pixels are numbers in the file that is given.
import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.File

fun show(bitmap: Bitmap) =
    println(bitmap.pixels.joinToString(" ") { Integer.toHexString(it) })

fun main(arguments: Array<String>) {
    val image = mapOf("image" to 2 * 2 * 3)
    File.all["decoder_float32.tflite"] = File("decode", 1, mapOf("z" to 3), image)
    val decoder = Decoder(Context())
    show(decoder.decode(floatArrayOf(1f, 0.5f, -0.5f)))
    show(decoder.decode(floatArrayOf(0.5f, 0f, 0f)))
    decoder.close()

    File.all["generator_float32.tflite"] =
        File("generate", 2, mapOf("noise" to 3, "label" to 2), mapOf("image" to 2 * 2))
    val generator = Generator(Context(), Accelerator.CPU)
    show(generator.generate(floatArrayOf(1f, 1f, 0f), floatArrayOf(0f, 0.5f)))
    show(generator.generate(floatArrayOf(1f, 1f, 0f)))
    generator.close()

    File.all["encoder_float32.tflite"] =
        File("encode", 1, image, mapOf("z_mean" to 3, "z_log_var" to 3))
    val morph = none.Morph(Context())
    val red = Bitmap.createBitmap(2, 2, Bitmap.Config.ARGB_8888)
    red.setPixel(0, 1, 0xff660000.toInt())
    val clear = Bitmap.createBitmap(2, 2, Bitmap.Config.ARGB_8888)
    for (bitmap in morph.morph(red, clear, 2)) show(bitmap)
    morph.close()
    println("${File.accelerators} ${File.open}")

    val numbers = java.io.File(arguments[0]).readText().split(" ").map { it.toLong().toInt() }
    val pixels = numbers.drop(1).toIntArray()
    val photo = Bitmap.createBitmap(
        pixels, numbers[0], pixels.size / numbers[0], Bitmap.Config.ARGB_8888
    )
    for (input in listOf(dark.encoderInput(photo), light.encoderInput(photo), part.encoderInput(photo))) {
        println(input.joinToString(" "))
    }
}
