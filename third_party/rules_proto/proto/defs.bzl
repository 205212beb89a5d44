"""The part of rules_proto that Bazel's own build files load, forwarded to the native rules."""

proto_lang_toolchain = native.proto_lang_toolchain
proto_library = native.proto_library
