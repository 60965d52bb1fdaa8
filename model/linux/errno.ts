/** Error numbers, and pointers that carry them. @see include/linux/err.h */
import type { Ptr } from "../../sim/index.ts";

/** Error numbers, as the kernel counts them. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EIO = 5;
export const ECHILD = 10;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EEXIST = 17;
export const EINVAL = 22;
export const EOPNOTSUPP = 95;
export const EALREADY = 114;
export const EINPROGRESS = 115;
export const ERESTARTSYS = 512;
export const ERESTARTNOINTR = 513;

const MAX_ERRNO = 4095;

/** An error number as a pointer: `ERR_PTR(-ESRCH)`. */
export const ERR_PTR = (error: number): Ptr => error;
/** The (negative) error number in an error pointer. */
export const PTR_ERR = (pointer: Ptr): number => pointer;
/** Whether a pointer is an error number. */
export const IS_ERR = (pointer: Ptr): boolean => pointer < 0 && pointer >= -MAX_ERRNO;
