"""A .gguf file's weights for torch: unpacked to bfloat16 once, and kept beside the other models.

llama.cpp answers a question sooner: a token that it generates costs half of torch's time, or a quarter. But torch reads
prompts 1.6 to 5 times as fast (2 cores without and with AMX, 2026-11), and to explain an answer is mostly reading.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from rag.children import python
from rag.errors import ModelError
from rag.models.registry import models_folder
from rag.protocols import Report, silent

TIMES = 4  # the disk that unpacking may need, over the file's: two bytes a weight instead of about five bits


def unpacked(file: Path, report: Report = silent) -> Path:
    """The folder from which transformers loads the weights of `file` in bfloat16, with its tokenizer.

    Made in a child process, whose memory is then free, if it is not there: two minutes and 3.5 GB of disk for 1.5
    billion weights. A kill leaves it undone. Raises ModelError: no room on the disk, or a kind of model that
    transformers does not know.
    """
    status = file.stat()
    folder = models_folder() / f"{file.stem}-bf16-{status.st_size}-{int(status.st_mtime)}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if not folder.is_dir():
                if shutil.disk_usage(folder.parent).free < (needed := TIMES * status.st_size):
                    raise ModelError(f"{folder.parent} has no room for {needed / 1e9:.1f} GB. Make some")
                report("files of weights unpacked, once", 0, 1)
                _unpack(file, folder)
                report("files of weights unpacked, once", 1, 1)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error.strerror}. Mend that") from error
    return folder


def _unpack(file: Path, folder: Path) -> None:
    fresh = folder.parent / f"{folder.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed run left
    quiet = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    child = subprocess.run(
        python("-m", "rag.llm.gguf_weights", str(file.absolute()), str(fresh)),
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | quiet,
    )  # fmt: skip
    if child.returncode:
        said = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        shutil.rmtree(fresh, ignore_errors=True)
        raise ModelError(f"{file}: transformers cannot unpack it: {said[:200].rstrip('.')}. Use another reader")
    os.replace(fresh, folder)


def _main(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    named = {"gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **named)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, **named, dtype=torch.bfloat16, quantization_config=GgufConfig(**named, dequantize=True)
    )
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and torch.equal(head.weight, embeddings.weight):  # stored once
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:]))
