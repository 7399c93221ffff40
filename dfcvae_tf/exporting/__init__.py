"""From a trained run to files for devices, each held against Keras before it counts."""
