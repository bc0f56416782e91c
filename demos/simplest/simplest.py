"""The simplest script: it looks at nothing and returns one number."""

import random


def ProcessBlock(pipe_data, block, request_state, input_data, tag=None, cwd=None, env=None, block_parent=None):
    return {"random": random.randint(0, 100)}
