"""with_llama.py REQUEST ANSWER: what llama.cpp says of a GGUF file.

llama-perplexity tells log-probabilities, of a text that it cuts into tokens itself and of
the second half of every window; llama-server writes, and logs the size of its cache."""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

TOOLS = os.path.join(sys.prefix, "build/bin")  # where install has compiled them
# Nothing is rounded, and there is one thread: several wait for one another by turning, which
# takes a busy machine more time than the work.
HOW = ["-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t", "1", "-tb", "1"]


def read(request, folder):
    """Returns the log-probability of every token but the first of each window, or None."""
    length, text, logits = len(request["windows"][0]), os.path.join(folder, "text"), os.path.join(folder, "logits")
    with open(text, "w") as f:
        f.write(request["text"])
    subprocess.run([f"{TOOLS}/llama-perplexity", "-m", request["model"], "-f", text, "-c", str(length), "-b", str(length),
                    "--chunks", str(len(request["windows"])), "--kl-divergence-base", logits, *HOW], check=True)
    with open(logits, "rb") as f:
        assert f.read(8) == b"_logits_"
        length, vocab, count = struct.unpack("<3i", f.read(12))
        windows = [list(struct.unpack(f"<{length}i", f.read(4 * length))) for _ in range(count)]
        if windows != request["windows"]:
            sys.exit("it cuts the text into other tokens")
        return [second_half(f, w, vocab) for w in windows]


def second_half(f, window, vocab):
    """Reads what each position from the middle on says of the token behind it. A row is a
    step, the least logarithm that is told, and for each token in 16 bits how many steps it is
    above that; tokens at the least are as likely or less."""
    half = len(window) // 2
    said = [None] * half
    for token in window[half + 1:]:
        step, least = struct.unpack("<2f", f.read(8))
        steps = struct.unpack(f"<{vocab}H", f.read(4 * ((vocab + 1) // 2))[:2 * vocab])
        said.append(least + step * steps[token] if steps[token] else None)
    return said


def serve(request, log):
    """Returns the tokens that the server writes. It logs to a file."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    body = json.dumps({"prompt": request["windows"][0][:request["prompt"]], "n_predict": request["write"], "temperature": 0,
                       "ignore_eos": True, "return_tokens": True}).encode()
    ask = urllib.request.Request(f"http://127.0.0.1:{port}/completion", body, {"Content-Type": "application/json"})
    server = subprocess.Popen([f"{TOOLS}/llama-server", "-m", request["model"], "--port", str(port), "-c", "2048", "-np", "1", "-lv", "4", *HOW],
                              stdout=log, stderr=log)
    try:
        while server.poll() is None:
            try:
                return json.load(urllib.request.urlopen(ask))["tokens"]
            except OSError:  # the server is not ready yet
                time.sleep(0.5)
        sys.exit("llama-server has stopped")
    finally:
        server.terminate()
        server.wait()


def version():
    with open(os.path.join(sys.prefix, "source/PKG-INFO")) as f:
        return re.search(r"^Version: (\d+)", f.read(), re.M).group(1)


def main():
    request = json.load(open(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "log"), "w+") as log:
        written = serve(request, log)
        log.seek(0)
        mebibytes, cells = re.search(r"llama_kv_cache: size = +([\d.]+) MiB \( *(\d+) cells", log.read()).groups()
        json.dump({
            "version": version(),
            "logprobs": read(request, folder),
            "written": written,
            "cache": float(mebibytes) * 2**20 / int(cells),
            "width": 4,
        }, open(sys.argv[2], "w"))


if __name__ == "__main__":
    main()
