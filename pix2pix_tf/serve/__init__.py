"""`pix2pix-tf serve`: models behind TensorFlow Serving's REST API, and their page.

In: the HTTP server, its limits and metrics, the page that draws. Not in: how an image
is translated (`inference.load`), and the client (`inference.remote`).
"""
