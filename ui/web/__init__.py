import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
