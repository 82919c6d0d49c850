"""A simulator of one queue, its workers and whoever scales them: the same load, Ferryman's decisions beside KEDA's."""
