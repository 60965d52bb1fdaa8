/* N threads increment a counter under a lock, once each. */
#ifndef N
#define N 4
#endif
bit held;
byte x;
byte done;

active [N] proctype thread() {
  byte seen;
  atomic { held == 0 -> held = 1 }
  seen = x;
  x = seen + 1;
  held = 0;
  done++
}

active proctype monitor() {
  done == N -> assert(x == N)
}
