"""The type that training and batched answers multiply in: bfloat16 where the CPU has instructions for it, float32 elsewhere.

Without such instructions PyTorch's bfloat16 products are plain loops, 20 to 50 times slower; float32 is as fast as the BLAS
behind PyTorch (Debian: `libopenblas0-serial` in place of the reference BLAS).
"""
import torch


def has_bfloat16():
    with open('/proc/cpuinfo') as file:
        flags = next((line for line in file if line.startswith('flags')), '').split()
    return 'avx512_bf16' in flags or 'amx_bf16' in flags


FAST = torch.bfloat16 if has_bfloat16() else torch.float32


def autocast():
    return torch.autocast('cpu', dtype=torch.bfloat16, enabled=FAST is torch.bfloat16)
