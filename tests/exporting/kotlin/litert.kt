// Stands in for LiteRT 2.3. The public signatures are those of
// litert/kotlin/src/main/kotlin/com/google/ai/edge/litert/{Common,Model,TensorBuffer}.kt in
// github.com/google-ai-edge/LiteRT of August 2026. A run makes pixels that rise from 0 to the
// product of the sums of its inputs' first rows.
package com.google.ai.edge.litert

import android.content.res.AssetManager

/** What the file of a test is like, and what happened to it. */
object File {
    val calls = mutableListOf<String>()
    var open = 0
    var name = ""
    var signature = ""
    var rows = 1
    var inputs = mapOf<String, Int>()
    var imageSize = 0
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

class CompiledModel private constructor() : JniHandle() {
    class Options(val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        companion object {
            val CPU = Options(Accelerator.CPU)
        }
    }

    fun createInputBuffer(inputName: String, signature: String = ""): TensorBuffer {
        require(signature == File.signature) { signature }
        return TensorBuffer(File.rows * File.inputs.getValue(inputName))
    }

    fun createOutputBuffer(outputName: String, signature: String = ""): TensorBuffer {
        require(signature == File.signature && outputName == "image")
        return TensorBuffer(File.rows * File.imageSize)
    }

    fun run(
        inputs: Map<String, TensorBuffer>,
        outputs: Map<String, TensorBuffer>,
        signature: String = ""
    ) {
        require(signature == File.signature && inputs.keys == File.inputs.keys)
        var most = 1f
        for ((name, buffer) in inputs) {
            val row = buffer.data.take(File.inputs.getValue(name))
            for (index in buffer.data.indices) {
                require(buffer.data[index] == row[index % row.size])
            }
            most *= row.sum()
        }
        outputs.getValue("image").data =
            FloatArray(File.rows * File.imageSize) { most * it / (File.imageSize - 1) }
    }

    companion object {
        @JvmStatic
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options.CPU
        ): CompiledModel {
            require(assetName == File.name) { assetName }
            File.calls.add(options.accelerators.joinToString())
            return CompiledModel()
        }
    }
}
