"""How final answers are found, read and compared: what `synth.verify` stands on."""
