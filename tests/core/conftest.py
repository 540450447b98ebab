from tests.engine.conftest import folder, make, rig

__all__ = ["folder", "make", "rig"]
