#!/usr/bin/env python3
"""Makes tests/files/classifier.safetensors: multinomial logistic regressions with soft targets, fitted by
scikit-learn 1.9 (a row for each class, weighted by its share). Needs numpy and scikit-learn.

  make_classifier.py [tests/files/classifier.safetensors]
"""
import pathlib
import sys

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from safetensors_file import save

out = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / 'files/classifier.safetensors'
random = np.random.default_rng(5)
images, depth, classes = 300, 6, 4
points = (3 * random.normal(size=(images, depth)) + random.normal(size=depth)).astype(np.float32)
losses = points @ random.normal(size=(depth, classes)) / 4 + random.gumbel(size=(images, classes))
targets = np.exp(-losses)
targets = (targets / targets.sum(1, keepdims=True)).astype(np.float32)
tensors = {'points': points, 'targets': targets}
square = (points.astype(float) ** 2).mean()
rows = np.repeat(points.astype(float), classes, axis=0)
labels = np.tile(np.arange(classes), images)
for penalty in (0.01, 1.0):
    # scikit-learn minimises C Σ loss + ‖W‖²/2; ours is 1/N Σ loss + λ s²/2 ‖W‖².
    fit = LogisticRegression(C=1 / (penalty * square * images), tol=1e-10, max_iter=10000)
    fit.fit(rows, labels, sample_weight=targets.astype(float).reshape(-1))
    p = fit.predict_proba(points.astype(float))
    tensors[f'{penalty:g}.weights'] = fit.coef_
    tensors[f'{penalty:g}.biases'] = fit.intercept_ - fit.intercept_.mean()
    tensors[f'{penalty:g}.loss'] = np.array([-(targets * np.log(p)).sum(1).mean()])
    print(penalty, tensors[f'{penalty:g}.loss'])
save(out, tensors, {'scikit-learn': sklearn.__version__})
