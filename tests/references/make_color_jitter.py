#!/usr/bin/env python3
"""Makes tests/files/color_jitter.safetensors: an image, and what Pillow's ImageEnhance makes of it, which is what
torchvision's ColorJitter calls for Pillow images. Needs Pillow and NumPy.

  make_color_jitter.py [FILE]

image            uint8 H×W×3: noise around a gradient, with black, white and gray pixels
KIND_FACTOR      KIND brightness, contrast or saturation
all              brightness 1.3, then saturation 0.7, then contrast 1.2
"""
import pathlib
import sys

import numpy as np
from PIL import Image, ImageEnhance

import safetensors_file

KINDS = {'brightness': ImageEnhance.Brightness, 'contrast': ImageEnhance.Contrast,
         'saturation': ImageEnhance.Color}
rng = np.random.default_rng(3)
image = np.clip(np.linspace(0, 255, 24)[None, :, None] + rng.normal(0, 60, (18, 24, 3)), 0, 255)
image = image.astype(np.uint8)
image[0, :4] = [[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0]]


def changed(picture, kind, factor):
    return KINDS[kind](picture).enhance(factor)


tensors = {'image': image}
for kind in KINDS:
    for factor in (0.0, 0.7, 0.93, 1.0, 1.3, 1.97):
        tensors[f'{kind}_{factor}'] = np.array(changed(Image.fromarray(image), kind, factor))
several = Image.fromarray(image)
for kind, factor in (('brightness', 1.3), ('saturation', 0.7), ('contrast', 1.2)):
    several = changed(several, kind, factor)
tensors['all'] = np.array(several)
here = pathlib.Path(__file__).parent
safetensors_file.save(sys.argv[1] if len(sys.argv) > 1 else here.parent / 'files/color_jitter.safetensors',
                      tensors)
