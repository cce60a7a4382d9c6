"""layer.py prints the processor seconds and the seconds that one Llama layer of
the shape of a 1B model takes for 4096 tokens in float32, on THREADS threads:
the best of three after a first that is not counted, either of them apart."""
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
T, d, H, G, D, f = 4096, 2048, 32, 8, 64, 8192


def norm(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def rotate(x, cos, sin):
    half = torch.cat((-x[..., D // 2:], x[..., :D // 2]), -1)
    return x * cos + half * sin


with torch.no_grad():
    q, k, v, o = (torch.randn(n, d) / d**0.5 for n in (H * D, G * D, G * D, d))
    gate, up, down = torch.randn(f, d) / d**0.5, torch.randn(f, d) / d**0.5, torch.randn(d, f) / f**0.5
    angle = torch.outer(torch.arange(T).float(), 500000.0 ** (-torch.arange(0, D, 2).float() / D)).repeat(1, 2)
    cos, sin = angle.cos(), angle.sin()
    mask = torch.full((T, T), float("-inf")).triu(1)

    def layer(x):
        h = norm(x)
        heads = [(h @ w.T).view(T, -1, D).transpose(0, 1) for w in (q, k, v)]
        qs, ks = rotate(heads[0], cos, sin), rotate(heads[1], cos, sin).repeat_interleave(H // G, 0)
        p = torch.softmax(qs @ ks.transpose(1, 2) / D**0.5 + mask, -1)
        x = x + (p @ heads[2].repeat_interleave(H // G, 0)).transpose(0, 1).reshape(T, H * D) @ o.T
        h = norm(x)
        return x + (torch.nn.functional.silu(h @ gate.T) * (h @ up.T)) @ down.T

    x = torch.randn(T, d)
    cpu, wall = [], []
    for _ in range(4):
        a, b = time.process_time(), time.perf_counter()
        layer(x)
        cpu.append(time.process_time() - a)
        wall.append(time.perf_counter() - b)
    print(min(cpu[1:]), min(wall[1:]))
