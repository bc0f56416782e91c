#: args: {n: {type: intger}}
def ProcessBlock(:
