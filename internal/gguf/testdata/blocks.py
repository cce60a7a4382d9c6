"""blocks.py: writes blocks.gguf, a tensor of random blocks for each type that is read, and blocks.f32, the numbers
that the gguf package takes them for. For Q8_0 there is encoded.f32 too, whose numbers that package quantised.
Made once, in this folder: pip install gguf==0.19.0 && python blocks.py"""
import numpy as np, gguf
from gguf import GGMLQuantizationType as T

rng = np.random.default_rng(1)
halves = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
writer, numbers = gguf.GGUFWriter("blocks.gguf", "test"), []
for kind in [T.F32, T.F16, T.BF16, *halves]:
    per, size = gguf.GGML_QUANT_SIZES[kind]
    if kind in halves:
        raw = rng.integers(0, 256, (2, 3, size), dtype=np.uint8)
        for at in halves[kind]:  # scales are finite, and of either sign
            raw[:, :, at:at + 2] = rng.normal(0, 0.1, (2, 3, 1)).astype(np.float16).view(np.uint8)
        raw = raw.reshape(2, 3 * size)
    else:
        raw = gguf.quants.quantize(rng.normal(0, 1, (2, 24)).astype(np.float32), kind)
        raw = raw.view(np.uint8)
    writer.add_tensor(kind.name, raw, raw_dtype=kind)
    numbers.append(gguf.quants.dequantize(raw.view(np.float32) if kind == T.F32 else raw.view(np.float16) if kind == T.F16 else raw, kind).astype("<f4").ravel())
source = rng.normal(0, 1, (2, 96)).astype(np.float32)
source[0, :32] = 0
writer.add_tensor("encoded", gguf.quants.quantize(source, T.Q8_0), raw_dtype=T.Q8_0)
source.astype("<f4").tofile("encoded.f32")
np.concatenate(numbers).tofile("blocks.f32")
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
