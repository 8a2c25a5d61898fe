// One attribute: compile a loop kernel for several x86-64 levels and pick at load time, so that a
// plain distribution build uses the machine's vectors. Put it on small non-template functions whose
// loops the compiler can vectorise by itself. Not in a sanitizer's build, which would call its
// library while the loader picks.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HARDMOE_VECTOR_KERNEL \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define HARDMOE_VECTOR_KERNEL
#endif
