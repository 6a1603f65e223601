"""What is made of a picture and its alpha: cut-outs and composites, with numpy and OpenCV alone."""
