"""Build rules shared by Duet's packages."""

def duet_test(name, deps = [], srcs = None, size = "small", **kwargs):
    """A GoogleTest program; its source is `<name>.cc` unless `srcs` says otherwise.

    Tags in use: `concurrent` (also run under ThreadSanitizer), `manual` (long; not in the default suite).
    """
    native.cc_test(
        name = name,
        srcs = srcs if srcs != None else [name + ".cc"],
        size = size,
        deps = deps + ["@gtest//:gtest"],
        **kwargs
    )
