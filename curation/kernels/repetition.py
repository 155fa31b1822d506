"""How much of a document repeats itself: its most frequent n-gram, and all of its duplicated n-grams.

Both count characters as datatrove's find_top_duplicate and find_all_duplicate do.
"""

from numba import njit, uint64

from curation.kernels.characters import Values
from curation.kernels.hashing import BASE, INVERSE, Table, Words, clear, find, insert, mix


@njit(nogil=True, cache=True)
def sum_word_order(words: Words, n_words: int) -> None:
    """Fills order_sums, from which come hashes of n-grams that know where each word ends."""
    sums, powers, order_sums = words.sums, words.powers, words.order_sums
    total, power = uint64(0), uint64(1)
    for i in range(n_words):
        order_sums[i] = total
        total += mix((sums[i + 1] - sums[i]) * powers[i]) * power
        power *= INVERSE
    order_sums[n_words] = total


@njit(nogil=True, cache=True)
def top_n_gram_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in all occurrences of the most frequent n-gram (the earliest of those that tie), spaces included."""
    n_grams = n_words - n + 1
    if n_grams < 1:
        return 0
    order_sums, char_end, keys, counts, firsts = (
        words.order_sums,
        words.char_end,
        table.keys,
        table.counts,
        table.firsts,
    )
    shift = clear(keys, n_grams)
    best_count, best_first, power = 0, 0, uint64(1)
    for i in range(n_grams):
        key = max((order_sums[i + n] - order_sums[i]) * power, uint64(1))
        power *= BASE
        slot = find(keys, shift, key)
        if keys[slot] == uint64(0):
            keys[slot], counts[slot], firsts[slot] = key, 0, i
        counts[slot] += 1
        if counts[slot] > best_count or (counts[slot] == best_count and firsts[slot] < best_first):
            best_count, best_first = int(counts[slot]), int(firsts[slot])
    return best_count * int(char_end[best_first + n] - char_end[best_first] + n - 1)


@njit(nogil=True, cache=True)
def duplicated_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in n-grams that occurred before; a counted n-gram is stepped over whole.

    Words are joined without spaces, as datatrove joins them, so "a bc" and "ab c" are the same.
    """
    sums, powers, char_end, keys = words.sums, words.powers, words.char_end, table.keys
    n_grams = n_words - n + 1
    shift = clear(keys, n_grams)
    n_chars, i = 0, 0
    while i < n_grams:
        if insert(keys, shift, (sums[i + n] - sums[i]) * powers[i]):
            n_chars += int(char_end[i + n] - char_end[i])
            i += n
        else:
            i += 1
    return n_chars


@njit(nogil=True, cache=True)
def measure_repetition(words: Words, n_words: int, n_chars: int, table: Table, fracs: Values) -> None:
    """Writes 9 shares of n_chars into fracs: the top 2- to 4-grams, then the duplicated 5- to 10-grams."""
    sum_word_order(words, n_words)
    for n in range(2, 5):
        fracs[n - 2] = top_n_gram_chars(words, n_words, n, table) / n_chars
    for n in range(5, 11):
        fracs[n - 2] = duplicated_chars(words, n_words, n, table) / n_chars
