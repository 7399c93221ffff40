// Stands in for LiteRT 2.3. The public signatures are those of
// litert/kotlin/src/main/kotlin/com/google/ai/edge/litert/{Common,Model,TensorBuffer}.kt in
// github.com/google-ai-edge/LiteRT of August 2026. A run makes values that rise from 0 to the
// product of the sums of its inputs' first rows.
package com.google.ai.edge.litert

import android.content.res.AssetManager

/** What a file of a test is like: of inputs and outputs the numbers in a row. */
class File(
    val signature: String,
    val rows: Int,
    val inputs: Map<String, Int>,
    val outputs: Map<String, Int>
) {
    companion object {
        val all = mutableMapOf<String, File>()
        val accelerators = mutableListOf<String>()
        var open = 0
    }
}

enum class Accelerator { NONE, CPU, GPU, NPU }

abstract class JniHandle internal constructor() : AutoCloseable {
    init {
        File.open++
    }

    final override fun close() {
        File.open--
    }
}

class TensorBuffer internal constructor(val size: Int) : JniHandle() {
    internal var data = FloatArray(size)

    fun writeFloat(data: FloatArray) {
        require(data.size == size) { "${data.size} numbers for $size" }
        this.data = data
    }

    fun readFloat(): FloatArray = data
}

class CompiledModel private constructor(private val file: File) : JniHandle() {
    class Options(val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        companion object {
            val CPU = Options(Accelerator.CPU)
        }
    }

    fun createInputBuffer(inputName: String, signature: String = ""): TensorBuffer {
        require(signature == file.signature) { signature }
        return TensorBuffer(file.rows * file.inputs.getValue(inputName))
    }

    fun createOutputBuffer(outputName: String, signature: String = ""): TensorBuffer {
        require(signature == file.signature) { signature }
        return TensorBuffer(file.rows * file.outputs.getValue(outputName))
    }

    fun run(
        inputs: Map<String, TensorBuffer>,
        outputs: Map<String, TensorBuffer>,
        signature: String = ""
    ) {
        require(signature == file.signature)
        require(inputs.keys == file.inputs.keys && outputs.keys == file.outputs.keys)
        var most = 1f
        for ((name, buffer) in inputs) {
            val row = buffer.data.take(file.inputs.getValue(name))
            for (index in buffer.data.indices) {
                require(buffer.data[index] == row[index % row.size])
            }
            most *= row.sum()
        }
        for ((name, buffer) in outputs) {
            val last = file.outputs.getValue(name) - 1
            buffer.data = FloatArray(buffer.size) { most * it / last }
        }
    }

    companion object {
        @JvmStatic
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options.CPU
        ): CompiledModel {
            File.accelerators.add(options.accelerators.joinToString())
            return CompiledModel(File.all.getValue(assetName))
        }
    }
}
