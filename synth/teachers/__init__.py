"""Who is asked, how, and where the answers are kept: what `synth.teacher` stands on."""
