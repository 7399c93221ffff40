"""From a trained run to files for devices, each checked against Keras before it counts."""
