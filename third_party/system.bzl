"""System packages as Bazel repositories: `@absl//:absl`, `@llvm//:llvm` and so on.

Headers under /usr/include are found by the compiler itself, so a package needs no header list: it is a set of link
flags and, where its headers lie deeper, of system include folders. That keeps the sandbox free of thousands of links.
"""

def _system_library_impl(ctx):
    compilation = cc_common.create_compilation_context(
        system_includes = depset(ctx.attr.includes),
        defines = depset(ctx.attr.defines),
    )
    flags = cc_common.create_linker_input(
        owner = ctx.label,
        user_link_flags = depset(ctx.attr.linkopts),
    )
    own = CcInfo(
        compilation_context = compilation,
        linking_context = cc_common.create_linking_context(linker_inputs = depset([flags])),
    )
    return [cc_common.merge_cc_infos(cc_infos = [own] + [d[CcInfo] for d in ctx.attr.deps])]

system_library = rule(
    implementation = _system_library_impl,
    doc = "A library installed by the system's package manager.",
    attrs = {
        "defines": attr.string_list(doc = "Preprocessor definitions for everything that depends on it."),
        "deps": attr.label_list(providers = [CcInfo]),
        "includes": attr.string_list(doc = "Absolute include folders, below a folder that the compiler searches."),
        "linkopts": attr.string_list(doc = "Linker flags."),
    },
)

# Abseil is linked statically: about sixty small shared libraries would cost each process its start-up time.
_ABSL = [
    "bad_any_cast_impl",
    "bad_optional_access",
    "bad_variant_access",
    "base",
    "city",
    "civil_time",
    "cord",
    "cord_internal",
    "cordz_functions",
    "cordz_handle",
    "cordz_info",
    "cordz_sample_token",
    "debugging_internal",
    "demangle_internal",
    "examine_stack",
    "exponential_biased",
    "failure_signal_handler",
    "flags_commandlineflag",
    "flags_commandlineflag_internal",
    "flags_config",
    "flags_internal",
    "flags_marshalling",
    "flags_parse",
    "flags_private_handle_accessor",
    "flags_program_name",
    "flags_reflection",
    "flags_usage",
    "flags_usage_internal",
    "graphcycles_internal",
    "hash",
    "hashtablez_sampler",
    "int128",
    "leak_check",
    "log_severity",
    "low_level_hash",
    "malloc_internal",
    "periodic_sampler",
    "random_distributions",
    "random_internal_platform",
    "random_internal_pool_urbg",
    "random_internal_randen",
    "random_internal_randen_hwaes",
    "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow",
    "random_internal_seed_material",
    "random_seed_gen_exception",
    "random_seed_sequences",
    "raw_hash_set",
    "raw_logging_internal",
    "spinlock_wait",
    "stacktrace",
    "status",
    "statusor",
    "str_format_internal",
    "strerror",
    "strings",
    "strings_internal",
    "symbolize",
    "synchronization",
    "throw_delegate",
    "time",
    "time_zone",
]

# name -> (linkopts, includes). The package that brings each is listed in tools/dev.
_SYSTEM = {
    "absl": (
        ["-Wl,--start-group"] + ["-l:libabsl_%s.a" % x for x in _ABSL] + ["-Wl,--end-group", "-lpthread"],
        [],
    ),
    "benchmark": (["-lbenchmark", "-lpthread"], []),
    "cli11": ([], []),
    "dl": (["-ldl"], []),
    "dnnl": (["-ldnnl"], []),
    "eigen": ([], ["/usr/include/eigen3"]),
    "gtest": (["-lgmock", "-lgtest_main", "-lgtest", "-lpthread"], []),
    "json": ([], []),
    "llvm": (["-L/usr/lib/llvm-19/lib", "-lLLVM-19"], ["/usr/include/llvm-19", "/usr/include/llvm-c-19"]),
    "openblas": (
        ["-L/usr/lib/x86_64-linux-gnu/openblas-pthread", "-lopenblas"],
        ["/usr/include/x86_64-linux-gnu/openblas-pthread"],
    ),
    # Shared, so that a process that also loads another user of protobuf registers each descriptor once.
    "protobuf": (["-lprotobuf", "-lpthread"], []),
    "sleef": (["-lsleef"], []),
    # A peer of the benchmarks only. Targets that use it are tagged `manual`: it may not be installed.
    "torch": (
        ["-ltorch", "-ltorch_cpu", "-lc10"],
        ["/usr/include/torch/csrc/api/include"],
    ),
    "zlib": (["-lz"], []),
}

def system_repositories():
    """Declares one repository a system package, holding one target of the same name."""
    for name, (linkopts, includes) in _SYSTEM.items():
        native.new_local_repository(
            name = name,
            path = "third_party/system",
            build_file_content = """
load("@duet//third_party:system.bzl", "system_library")

system_library(
    name = "{name}",
    includes = {includes},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
""".format(name = name, includes = includes, linkopts = linkopts),
        )
