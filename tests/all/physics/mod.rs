//! What the dynamics must obey, whatever the engine.
