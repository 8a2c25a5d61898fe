// Counts the calls by which a process changes files below one folder, and lets the n-th of them fail,
// or kills the process before it. A library to be loaded before a program's own:
//   cc -shared -fPIC -O1 -o inject.so inject.c
//   FAULT_ROOT=FOLDER FAULT_AT=7 FAULT_KIND=EIO LD_PRELOAD=./inject.so PROGRAM …
//
// FAULT_ROOT     the folder; calls elsewhere, and of standard streams, are not counted
// FAULT_AT       number of the call, from 1; each process counts its own
// FAULT_KIND     kill: SIGKILL before the call; ENOSPC, EIO: the call fails so, once, and does nothing
//                (but close, which closes and then fails)
// FAULT_PROGRAM  name of the program that is meant; others run as if this library were not there
// FAULT_COUNT    a file that gets a line for each counted call: PROGRAM NUMBER CALL PATH
// FAULT_HIT      a file that gets such a line for the call that was hit. Where it exists nothing is hit
//                any more, so that of several processes with the same name one is
//
// Every call is made by syscall(), so that this library never calls itself.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char* root;  // NULL: nothing is counted
static const char* count_file;
static const char* hit_file;
static long fault_at;
static int fault_error;  // 0: kill
static atomic_long calls;

// ---- what is counted

__attribute__((constructor)) static void read_environment(void) {
  const char* program = getenv("FAULT_PROGRAM");
  const char* at = getenv("FAULT_AT");
  const char* kind = getenv("FAULT_KIND");
  if (program != NULL && strcmp(program, program_invocation_short_name) != 0) return;
  fault_at = at == NULL ? 0 : atol(at);
  fault_error = kind == NULL || strcmp(kind, "kill") == 0 ? 0
                : strcmp(kind, "EIO") == 0                ? EIO
                                                          : ENOSPC;
  count_file = getenv("FAULT_COUNT");
  hit_file = getenv("FAULT_HIT");
  root = getenv("FAULT_ROOT");
}

// Appends a line to one of the two files; with O_EXCL among the flags, only to a new one.
static bool tell(const char* file, int flags, long number, const char* call, const char* path) {
  if (file == NULL) return false;
  const long opened =
      syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (opened < 0) return false;
  char line[2 * PATH_MAX];
  const char* below = path[strlen(root)] == '/' ? path + strlen(root) + 1 : ".";
  const int length = snprintf(line, sizeof line, "%s %ld %s %s\n", program_invocation_short_name,
                              number, call, below);
  syscall(SYS_write, opened, line, length);
  syscall(SYS_close, opened);
  return true;
}

// Counts a call on an absolute path. Returns 0, or the error with which the call is to fail.
static int count_call(const char* call, const char* path) {
  const size_t length = strlen(root);
  if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0')) return 0;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  tell(count_file, O_APPEND, number, call, path);
  if (number != fault_at) return 0;
  if (hit_file != NULL && !tell(hit_file, O_EXCL, number, call, path)) return 0;
  if (fault_error != 0) return fault_error;
  syscall(SYS_kill, getpid(), SIGKILL);
  while (true) pause();
}

static bool path_of(int descriptor, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = '\0';
  return length > 0;
}

// Counts a call that names a path, as seen from `folder` (a descriptor or AT_FDCWD).
static int count_named(const char* call, int folder, const char* name) {
  char path[2 * PATH_MAX] = "";
  if (root == NULL || name == NULL) return 0;
  if (name[0] == '/') return count_call(call, name);
  if (folder == AT_FDCWD ? getcwd(path, PATH_MAX) == NULL : !path_of(folder, path)) return 0;
  const size_t length = strlen(path);
  snprintf(path + length, sizeof path - length, "/%s", name);
  return count_call(call, path);
}

static int count_open(int folder, const char* name, int flags) {
  return (flags & O_CREAT) != 0 ? count_named("open", folder, name) : 0;
}

// Counts a call on a descriptor: of a regular file that is open for writing or, where `folders`, of a
// folder, whose names can be synced.
static int count_descriptor(const char* call, int descriptor, bool folders) {
  char path[PATH_MAX];
  struct stat info;
  if (root == NULL || descriptor <= STDERR_FILENO || fstat(descriptor, &info) != 0) return 0;
  const bool writable = (fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const bool counted = (S_ISREG(info.st_mode) && writable) || (S_ISDIR(info.st_mode) && folders);
  return counted && path_of(descriptor, path) ? count_call(call, path) : 0;
}

// Makes the system's call, unless it is to fail.
#define RETURN_CALL(error, ...)         \
  do {                                  \
    const int found = (error);          \
    if (found == 0) return __VA_ARGS__; \
    errno = found;                      \
    return -1;                          \
  } while (0)

// ---- the C library's functions in their place

#define OPEN_MODE(flags, mode)                                      \
  mode_t mode = 0;                                                  \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
    va_list rest;                                                   \
    va_start(rest, flags);                                          \
    mode = va_arg(rest, mode_t);                                    \
    va_end(rest);                                                   \
  }

int open(const char* name, int flags, ...) {
  OPEN_MODE(flags, mode)
  RETURN_CALL(count_open(AT_FDCWD, name, flags),
              (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode));
}

int openat(int folder, const char* name, int flags, ...) {
  OPEN_MODE(flags, mode)
  RETURN_CALL(count_open(folder, name, flags), (int)syscall(SYS_openat, folder, name, flags, mode));
}

int creat(const char* name, mode_t mode) { return open(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int descriptor) {
  const int error = count_descriptor("close", descriptor, false);
  RETURN_CALL((int)syscall(SYS_close, descriptor) < 0 ? errno : error, 0);
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  RETURN_CALL(count_descriptor("write", descriptor, false),
              syscall(SYS_write, descriptor, bytes, count));
}

ssize_t writev(int descriptor, const struct iovec* pieces, int count) {
  RETURN_CALL(count_descriptor("write", descriptor, false),
              syscall(SYS_writev, descriptor, pieces, count));
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  RETURN_CALL(count_descriptor("write", descriptor, false),
              syscall(SYS_pwrite64, descriptor, bytes, count, offset));
}

int fsync(int descriptor) {
  RETURN_CALL(count_descriptor("sync", descriptor, true), (int)syscall(SYS_fsync, descriptor));
}

int fdatasync(int descriptor) {
  RETURN_CALL(count_descriptor("sync", descriptor, true), (int)syscall(SYS_fdatasync, descriptor));
}

int ftruncate(int descriptor, off_t size) {
  RETURN_CALL(count_descriptor("truncate", descriptor, false),
              (int)syscall(SYS_ftruncate, descriptor, size));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  RETURN_CALL(count_named("rename", to_folder, to),
              (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char* name, int flags) {
  RETURN_CALL(count_named("remove", folder, name), (int)syscall(SYS_unlinkat, folder, name, flags));
}

int unlink(const char* name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char* name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char* name) {
  struct stat info;
  const bool folder = lstat(name, &info) == 0 && S_ISDIR(info.st_mode);
  return unlinkat(AT_FDCWD, name, folder ? AT_REMOVEDIR : 0);
}

int mkdirat(int folder, const char* name, mode_t mode) {
  RETURN_CALL(count_named("mkdir", folder, name), (int)syscall(SYS_mkdirat, folder, name, mode));
}

int mkdir(const char* name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

// Names of the same functions for programs with large files.
int open64(const char*, int, ...) __attribute__((alias("open")));
int openat64(int, const char*, int, ...) __attribute__((alias("openat")));
int creat64(const char*, mode_t) __attribute__((alias("creat")));
ssize_t pwrite64(int, const void*, size_t, off_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
