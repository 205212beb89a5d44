"""C++ code from the .proto files of this package."""

def wire_library(name, protos, **kwargs):
    """A cc_library of the classes that protoc generates for `protos`, which may import one another as "proto/x.proto"."""
    headers = [p.replace(".proto", ".pb.h") for p in protos]
    sources = [p.replace(".proto", ".pb.cc") for p in protos]
    native.genrule(
        name = name + "_gen",
        srcs = protos,
        outs = headers + sources,
        cmd = "/usr/bin/protoc -I. --cpp_out=$(GENDIR) $(SRCS)",
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        deps = ["@protobuf//:protobuf"],
        **kwargs
    )
