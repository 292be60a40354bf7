// Compiled with the precompiled header that all test executables share, which makes it exist.
