import datetime


def ProcessBlock(pipe_data, block, request_state, input_data, tag=None, cwd=None, env=None, block_parent=None):
    now = datetime.datetime.now(datetime.timezone.utc)
    given = ", ".join(f"{name} = {value}" for name, value in input_data.items()) or "nothing"
    return {
        "rpc_write_target": f"{now:%H:%M:%S} UTC, given {given}",
        "no_such_element": "nobody sees this",
    }
