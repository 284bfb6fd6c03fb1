"""llama.cpp's HTTP server under the name and the options of `llama-server`.

The package index has no llama-server that runs on any processor, but it has the server's own code as a
Python module. tests/run installs this file as `llama-server`; the process serves until it is killed.
Ollama, which starts it too, gives it more options than there are here: those are passed over.
"""

import argparse
import os
import signal

import xllamacpp

parser = argparse.ArgumentParser(prog="llama-server")
model = os.environ.get("LLAMA_ARG_MODEL")
parser.add_argument("--model", "-m", default=model, required=not model)
parser.add_argument("--alias", help="name of the model in the answers (default: its path)")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--api-key")
parser.add_argument("--ctx-size", "-c", type=int, default=4096)
parser.add_argument("--parallel", "-np", type=int, default=2, help="number of slots")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--metrics", action="store_true")
parser.add_argument("--no-slots", action="store_true")
parser.add_argument("--props", action="store_true")
options, _ = parser.parse_known_args()

params = xllamacpp.CommonParams()
params.model.path = options.model
if options.alias:
    params.model_alias = {options.alias}
params.hostnames = [options.host]
params.port = options.port
if options.api_key:
    params.api_keys = [options.api_key]
params.n_ctx = options.ctx_size
params.n_parallel = options.parallel
params.cpuparams.n_threads = options.threads
params.endpoint_metrics = options.metrics
params.endpoint_slots = not options.no_slots
params.endpoint_props = options.props

# The constructor returns when the model is loaded; until then the server answers 503, as llama-server does.
server = xllamacpp.Server(params)
signal.pause()
