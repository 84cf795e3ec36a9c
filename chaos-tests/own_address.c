// Lets each master of a dev cluster connect from an address of its own, DIAL_FROM and the number in its directory's name, so that
// a test can tell its connections from those of the other masters on the same machine.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in own;

__attribute__((constructor)) static void find_own(void) {
  char directory[4096], text[64];
  const char *from = getenv("DIAL_FROM");
  if (!from || !getcwd(directory, sizeof directory)) return;
  const char *name = strrchr(directory, '/') + 1;
  if (name[0] != 'm' || name[1] < '1' || name[1] > '9' || name[2] != 0) return;
  snprintf(text, sizeof text, "%s%c", from, name[1]);
  if (inet_pton(AF_INET, text, &own.sin_addr) == 1) own.sin_family = AF_INET;
}

int connect(int socket, const struct sockaddr *to, socklen_t length) {
  int (*next)(int, const struct sockaddr *, socklen_t) = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
  if (own.sin_family == AF_INET && to->sa_family == AF_INET) {
    // In its own network only, a /24.
    const in_addr_t there = ((const struct sockaddr_in *)to)->sin_addr.s_addr;
    const int late = 1;
    if (((ntohl(there) ^ ntohl(own.sin_addr.s_addr)) >> 8) == 0) {
      if (setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late) != 0) return -1;
      if (bind(socket, (const struct sockaddr *)&own, sizeof own) != 0) return -1;
    }
  }
  return next(socket, to, length);
}
