# workerd with the one worker that checks cases, on a free port of the loopback (which it tells on --control-fd).
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    # The cases come from a server on the loopback; nothing else can be reached.
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    # The modules of the worker are written here by the build, which knows them; it puts this file in dist/.
    (name = "pkg/capstan_core_bg.wasm", wasm = embed "pkg/capstan_core_bg.wasm"),
    (name = "pkg/capstan_text.wasm", wasm = embed "pkg/capstan_text.wasm"),
  ],
  compatibilityDate = "2025-10-01",
);
