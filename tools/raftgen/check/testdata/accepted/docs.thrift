/* Not a doc comment. */
/**
 * The file's own words.
 *
 *   Indented.
 */
namespace go docs

/** One line. */
const i32 A = 1

// Not this.
# Nor this.
/**
 * Of the enum.
 */
enum E {
  /** Of the first. */
  ONE,
  TWO, /** Of the third, because it is the next to begin. */
  THREE
  /** Of no one. */
}

struct NoDoc {
  1: i32 a /** Of b. */
  /** Of b, in place of the one before. **/
  2: i32 b,
  /**
     No stars, but
       indented.
   */
  3: i32 c
  /***/
  4: i32 d
  /**/
  5: i32 e
}

/** Of the exception. */
exception X {}

/** Taken over by the next one. */
/** Of the service. */
service S {
  /** Of the function.
      Second line. */
  void f(/** Of the argument. */ 1: i32 a) throws (
    /** Of what is thrown. */
    1: X x)
}
