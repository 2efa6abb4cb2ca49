"""Live figures of the lessons: Matplotlib draws, ipywidgets steers, and the computation below is a pure function.

`figures` holds what every figure shares, `engine.Lab` is the base of every live one, and each chapter's labs
stand in the module of its name: `core_concepts`, `gradient_descent`, `cross_validation`, `listing`, `overfitting`, `local_minima`.
"""
