/* A power cut for tests: how much of a file is on disk, by the program's own account.
 *
 * Preloaded (LD_PRELOAD) into a server, it writes a line "<size> <path>" to the file named in UNSYNCED_LOG after each
 * fsync or fdatasync that succeeded: the size that the file had when it was called. What was written after that is
 * lost in a power cut, and can be cut off.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static long long size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode) ? (long long)found.st_size : -1;
}

static void note(int fd, long long size) {
    const char *log = getenv("UNSYNCED_LOG");
    char link[64], path[PATH_MAX], line[PATH_MAX + 32];
    if (log == NULL || size < 0) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = '\0';
    int written = snprintf(line, sizeof line, "%lld %s\n", size, path);
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0) return;
    if (write(out, line, (size_t)written) != written) abort(); /* an account with gaps proves nothing */
    close(out);
}

static int synced(const char *name, int fd) {
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    long long size = size_of(fd);
    int result = real(fd);
    if (result == 0) note(fd, size);
    return result;
}

int fsync(int fd) { return synced("fsync", fd); }

int fdatasync(int fd) { return synced("fdatasync", fd); }
