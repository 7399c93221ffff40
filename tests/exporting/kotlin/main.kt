// Draws with the report's code; prints accelerators, pixels, and handles that stay open.
import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.File

fun show(bitmap: Bitmap) =
    println(bitmap.pixels.joinToString(" ") { Integer.toHexString(it) })

fun main() {
    File.name = "decoder_float32.tflite"
    File.signature = "decode"
    File.inputs = mapOf("z" to 3)
    File.imageSize = 2 * 2 * 3
    val decoder = Decoder(Context())
    show(decoder.decode(floatArrayOf(1f, 0.5f, -0.5f)))
    show(decoder.decode(floatArrayOf(0.5f, 0f, 0f)))
    decoder.close()

    File.name = "generator_float32.tflite"
    File.signature = "generate"
    File.rows = 2
    File.inputs = mapOf("noise" to 3, "label" to 2)
    File.imageSize = 2 * 2
    val generator = Generator(Context(), Accelerator.CPU)
    show(generator.generate(floatArrayOf(1f, 1f, 0f), floatArrayOf(0f, 0.5f)))
    show(generator.generate(floatArrayOf(1f, 1f, 0f)))
    generator.close()
    println("${File.calls} ${File.open}")
}
