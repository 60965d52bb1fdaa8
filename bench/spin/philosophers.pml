/*
 * N philosophers, one meal each: the left fork, the right fork, both back.
 * BROKEN: all of them begin with the left; else the last begins with the right.
 */
#ifndef N
#define N 5
#endif
bit fork[N];

active [N] proctype philosopher() {
  byte one = _pid;
  byte two = (_pid + 1) % N;
#ifndef BROKEN
  if
  :: _pid == N - 1 -> one = 0; two = N - 1
  :: else
  fi;
#endif
  atomic { fork[one] == 0 -> fork[one] = 1 }
  atomic { fork[two] == 0 -> fork[two] = 1 }
  fork[two] = 0;
  fork[one] = 0
}
