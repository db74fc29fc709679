/* Stands between a program and the system (LD_PRELOAD): counts the calls that concern files under one folder, and
 * makes the n-th of them fail, stop halfway, or be the last thing that the process does. Keeps a journal of them, from
 * which a loss of power can be worked out.
 *
 *   SHIM_UNDER    the folder, an absolute path
 *   SHIM_AT       which call, from 1; none where it is not set
 *   SHIM_KIND     kill-before, kill-after, kill-half, short, errno:NUMBER (that call alone), full:NUMBER (that call
 *                 and every later one that needs room)
 *   SHIM_COUNT    a file into which the number of calls is written at the end, one line, and before it every call that
 *                 would alter something outside of the folder
 *   SHIM_JOURNAL  a file for the journal
 *
 * Journal: little endian; a byte for the call, then u32 length and bytes of a path, twice; i64 descriptor, u64 number;
 * u32 length and bytes of data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILL_BEFORE = 1, KILL_AFTER, KILL_HALF, SHORT, ERRNO, FULL };

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *under;
static size_t under_length;
static long at, count;
static int kind, number, journal = -1, counted = -1, ready;
static char known[4096];

static long raw_write(int fd, const void *bytes, size_t length) { return syscall(SYS_write, fd, bytes, length); }

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); }

static int aside(const char *variable) {
    const char *path = getenv(variable);
    if (!path) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

__attribute__((constructor)) static void begin(void) {
    pthread_mutex_lock(&lock);
    if (!ready) {
        ready = 1;
        under = getenv("SHIM_UNDER");
        under_length = under ? strlen(under) : 0;
        const char *text = getenv("SHIM_AT"), *what = getenv("SHIM_KIND");
        at = text ? atol(text) : 0;
        if (!what) what = "";
        if (!strcmp(what, "kill-before")) kind = KILL_BEFORE;
        if (!strcmp(what, "kill-after")) kind = KILL_AFTER;
        if (!strcmp(what, "kill-half")) kind = KILL_HALF;
        if (!strcmp(what, "short")) kind = SHORT;
        if (!strncmp(what, "errno:", 6)) kind = ERRNO, number = atoi(what + 6);
        if (!strncmp(what, "full:", 5)) kind = FULL, number = atoi(what + 5);
        journal = aside("SHIM_JOURNAL");
        counted = aside("SHIM_COUNT");
    }
    pthread_mutex_unlock(&lock);
}

__attribute__((destructor)) static void finish(void) {
    if (counted < 0) return;
    char line[64];
    raw_write(counted, line, (size_t)snprintf(line, sizeof line, "%ld\n", count));
}

static int inside(const char *path) { return under && path && !strncmp(path, under, under_length); }

/* A call that would alter something elsewhere. */
static void outside(const char *call, const char *path) {
    if (!under || counted < 0 || !path || !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6)) return;
    char line[4500];
    int length = snprintf(line, sizeof line, "outside: %s %s\n", call, path);
    raw_write(counted, line, (size_t)length < sizeof line ? (size_t)length : sizeof line);
}

static int ours(int fd) { return fd >= 0 && fd < (int)sizeof known && known[fd]; }

static void put(char *to, size_t *length, const void *from, size_t size) {
    memcpy(to + *length, from, size);
    *length += size;
}

static void note(char call, const char *a, const char *b, int64_t fd, uint64_t value, const void *data, size_t size) {
    if (journal < 0) return;
    uint32_t la = a ? (uint32_t)strlen(a) : 0, lb = b ? (uint32_t)strlen(b) : 0, ld = (uint32_t)size;
    char *record = malloc(64 + la + lb + size);
    size_t length = 0;
    put(record, &length, &call, 1);
    put(record, &length, &la, 4);
    if (la) put(record, &length, a, la);
    put(record, &length, &lb, 4);
    if (lb) put(record, &length, b, lb);
    put(record, &length, &fd, 8);
    put(record, &length, &value, 8);
    put(record, &length, &ld, 4);
    if (ld) put(record, &length, data, ld);
    raw_write(journal, record, length);
    free(record);
}

/* Counts a call. 0: it is made; 1: it fails with errno; 2: half of it is made, then all is over; 3: half of it is made. */
static int turn(int needs_room, int may_be_short, int may_wait) {
    long mine = ++count;
    if (kind == FULL && at && mine >= at && needs_room) { errno = number; return 1; }
    if (mine != at) return 0;
    switch (kind) {
    case KILL_BEFORE: die(); break;
    case KILL_HALF: if (!may_be_short) die(); return 2;
    case SHORT: return may_be_short ? 3 : 0;
    case ERRNO: if (number == EINTR && !may_wait) return 0; errno = number; return 1;
    default: break;
    }
    return 0;
}

static void turned(void) { if (kind == KILL_AFTER && at && count == at) die(); }

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define BEGIN begin(); pthread_mutex_lock(&lock); int saved = 0
#define END saved = errno; pthread_mutex_unlock(&lock); errno = saved

static int opened(int (*really)(int, const char *, int, mode_t), int folder, const char *path, int flags, mode_t mode) {
    int alters = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    if (!inside(path)) {
        if (alters) outside("open", path);
        int fd = really(folder, path, flags, mode);
        if (fd >= 0 && fd < (int)sizeof known) known[fd] = 0;
        return fd;
    }
    BEGIN;
    int fd = -1;
    if (turn(flags & O_CREAT, 0, 1) == 0) {
        fd = really(folder, path, flags, mode);
        saved = errno;
        if (fd >= 0) {
            if (fd < (int)sizeof known) known[fd] = 1;
            note('o', path, NULL, fd, (uint64_t)flags, NULL, 0);
        }
        turned();
        errno = saved;
    }
    END;
    return fd;
}

static int raw_open(int folder, const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(raw_open, AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(raw_open, AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return opened(raw_open, folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return opened(raw_open, folder, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return opened(raw_open, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    if (fd >= 0 && fd < (int)sizeof known) known[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

static ssize_t written(int fd, const void *bytes, size_t size, int64_t offset) {
    int64_t place = offset >= 0 ? offset : syscall(SYS_lseek, fd, 0, SEEK_CUR);
    BEGIN;
    ssize_t done = -1;
    int what = turn(1, size > 1, 1);
    if (what != 1) {
        size_t part = what ? size / 2 : size;
        done = offset >= 0 ? syscall(SYS_pwrite64, fd, bytes, part, offset) : syscall(SYS_write, fd, bytes, part);
        saved = errno;
        if (done > 0) note('w', NULL, NULL, fd, (uint64_t)place, bytes, (size_t)done);
        if (what == 2) die();
        turned();
        errno = saved;
    }
    END;
    return done;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (!ours(fd)) return raw_write(fd, bytes, size);
    return written(fd, bytes, size, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    if (!ours(fd)) return syscall(SYS_pwrite64, fd, bytes, size, offset);
    return written(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) { return pwrite(fd, bytes, size, offset); }
ssize_t writev(int fd, const struct iovec *parts, int number_of) {
    if (!ours(fd)) return syscall(SYS_writev, fd, parts, number_of);
    for (int k = 0; k < number_of; k++)
        if (parts[k].iov_len) return written(fd, parts[k].iov_base, parts[k].iov_len, -1);
    return 0;
}

static ssize_t taken(int fd, void *bytes, size_t size, int64_t offset) {
    BEGIN;
    ssize_t done = -1;
    int what = turn(0, size > 1, 1);
    if (what != 1) {
        size_t part = what ? size / 2 : size;
        done = offset >= 0 ? syscall(SYS_pread64, fd, bytes, part, offset) : syscall(SYS_read, fd, bytes, part);
        saved = errno;
        if (what == 2) die();
        turned();
        errno = saved;
    }
    END;
    return done;
}
ssize_t read(int fd, void *bytes, size_t size) {
    if (!ours(fd)) return syscall(SYS_read, fd, bytes, size);
    return taken(fd, bytes, size, -1);
}
ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset) {
    if (!ours(fd)) return syscall(SYS_pread64, fd, bytes, size, offset);
    return taken(fd, bytes, size, offset);
}
ssize_t pread(int fd, void *bytes, size_t size, off_t offset) { return pread64(fd, bytes, size, offset); }

/* A call without parts: made, or failed. */
#define WHOLE(room, waits, call, letter, a, b, fd, value) \
    BEGIN; int done = -1; \
    if (turn(room, 0, waits) == 0) { \
        done = (int)(call); saved = errno; \
        if (done == 0) note(letter, a, b, fd, value, NULL, 0); \
        turned(); errno = saved; \
    } \
    END; return done

int ftruncate64(int fd, off64_t length) {
    if (!ours(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    WHOLE(0, 1, syscall(SYS_ftruncate, fd, length), 't', NULL, NULL, fd, (uint64_t)length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int fsync(int fd) {
    if (!ours(fd)) return (int)syscall(SYS_fsync, fd);
    WHOLE(0, 1, syscall(SYS_fsync, fd), 's', NULL, NULL, fd, 0);
}
int fdatasync(int fd) {
    if (!ours(fd)) return (int)syscall(SYS_fdatasync, fd);
    WHOLE(0, 1, syscall(SYS_fdatasync, fd), 's', NULL, NULL, fd, 0);
}
int flock(int fd, int operation) {
    if (!ours(fd)) return (int)syscall(SYS_flock, fd, operation);
    WHOLE(0, 0, syscall(SYS_flock, fd, operation), 'l', NULL, NULL, fd, 0);
}
int rename(const char *from, const char *to) {
    if (!inside(from) || !inside(to)) {
        outside("rename", from);
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    }
    WHOLE(1, 0, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), 'r', from, to, -1, 0);
}
int unlink(const char *path) {
    if (!inside(path)) { outside("unlink", path); return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
    WHOLE(0, 0, syscall(SYS_unlinkat, AT_FDCWD, path, 0), 'u', path, NULL, -1, 0);
}
int rmdir(const char *path) {
    if (!inside(path)) { outside("rmdir", path); return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
    WHOLE(0, 0, syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR), 'd', path, NULL, -1, 0);
}
int mkdir(const char *path, mode_t mode) {
    if (!inside(path)) { outside("mkdir", path); return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode); }
    WHOLE(1, 0, syscall(SYS_mkdirat, AT_FDCWD, path, mode), 'm', path, NULL, -1, 0);
}
