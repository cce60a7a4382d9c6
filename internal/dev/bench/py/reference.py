"""reference.py LAYERS THREADS prints the processor seconds and the seconds that
the published conversion's work on layers of the shape of Llama-3-8B takes: a
singular value decomposition in float32 of what keys and values do without
rotation, as the MHA2MLA authors' code asks for it, and the modules that hold its
factors. Nothing is read or written."""
import sys
import time

import torch

layers = int(sys.argv[1])
torch.set_num_threads(int(sys.argv[2]))
d, G, D, rank, kept = 4096, 8, 128, 512, 16

with torch.no_grad():
    key, value = torch.randn(G * D, d).bfloat16(), torch.randn(G * D, d).bfloat16()
    content = torch.cat([torch.arange(g * D + kept, (g + 1) * D) for g in range(G)])
    rotary = torch.cat([torch.arange(g * D, g * D + kept) for g in range(G)])
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(layers):
        modules = [torch.nn.Linear(n, m, bias=False, dtype=torch.bfloat16)
                   for n, m in ((d, rank), (rank, len(content)), (rank, G * D), (d, len(rotary)))]
        u, s, v = torch.linalg.svd(torch.cat([key[content], value]).float(), full_matrices=False)
        up = u[:, :rank] @ torch.diag(s[:rank])
        for module, weight in zip(modules, (v[:rank], up[:len(content)], up[len(content):], key[rotary])):
            module.weight.data.copy_(weight)
    print(time.process_time() - cpu, time.perf_counter() - wall)
