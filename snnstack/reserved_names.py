"""Names that a file, a function or a build target made from a user's name must not have."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


C_WORDS = _words("""
    alignas alignof and and_eq asm atomic auto bitand bitor bool break case catch char class compl
    complex concept const consteval constexpr constinit continue decltype default delete do double
    else enum errno explicit export extern false float for friend goto if imaginary import inline
    int int8 int16 int32 int64 long main module mutable namespace new noexcept noreturn not not_eq
    null nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert struct switch template this
    thread_local throw true try typedef typeid typename typeof typeof_unqual uint8 uint16 uint32
    uint64 union unsigned using virtual void volatile wchar_t while xor xor_eq
""")
"""Keywords of C and C++, and names of the language that projects define as macros."""

PYTHON_WORDS = _words("""
    and as assert async await break class continue def del elif else except finally for from global
    if import in is lambda match none nonlocal not or pass raise return self try type while with
    yield
""")

CMAKE_WORDS = _words("""
    add_executable add_library break cmake continue else elseif endforeach endfunction endif
    endmacro endwhile foreach function if include install macro message off on option project
    return set while
""")

HEADERS = _words("""
    alloca arduino arm_acle arm_cmse arm_fp16 arm_math arm_mve arm_neon assert complex ctype dirent
    dlfcn endian errno esp_err fcntl features fenv float freertos inttypes io iso646 kernel limits
    locale malloc math memory newlib poll process pthread reent regex riscv_vector sched sdkconfig
    search semaphore setjmp signal spawn stdalign stdarg stdatomic stdbit stdbool stdckdint stddef
    stdint stdio stdlib stdnoreturn string strings syslog task termios tgmath thread threads time
    timer timers types uchar unistd utime values version wchar wctype zephyr
""")
"""Headers without `.h` that C libraries and makers' kits have: ours must not be found instead."""

OWN_FILES = _words("""
    ann ann_kernels ann_weights harness memory selftest semihost snn_kernels startup toolchain
""")
"""Files of an emitted project beside those of the network."""

OWN_VARIABLES = _words("golden golden_n n run")
"""What stands before `_events` and other ends of public names in variables of the emitted C: a
network `n` would declare a function `n_events`. A test finds them in the templates."""

TARGETS = _words("""
    all all_build app c clean cmake_check_build_system cmake_force cxx default_target depend
    edit_cache experimental continuous firmware flash gcc help install libc m monitor nightly ninja
    none nosys package package_source pthread preinstall rebuild_cache rt run_tests size stdc stdcxx
    supcxx test zero_check
""")
"""Targets of CMake, its generators and firmware kits, and libraries that linkers search."""

DEVICES = _words("aux con nul prn") | {f"{p}{n}" for p in ("com", "lpt") for n in range(10)}
"""What Windows takes for a device whatever its ending."""

RESERVED = (
    C_WORDS | PYTHON_WORDS | CMAKE_WORDS | HEADERS | OWN_FILES | OWN_VARIABLES | TARGETS | DEVICES
)

PREFIXES = ("ann_", "core_cm", "host_", "snn", "timer_", "update")
"""Beginnings of the names of the emitted kernels, the test program and makers' headers."""
