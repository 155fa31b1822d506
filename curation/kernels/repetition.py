"""How much of a document repeats itself: its most frequent n-gram, and all of its duplicated n-grams.

Both count characters as datatrove's find_top_duplicate and find_all_duplicate do.
"""

from numba import njit, uint64

from curation.kernels.characters import Values
from curation.kernels.hashing import BASE, INVERSE, Table, Words, clear, find, hash_words, insert, mix


@njit(nogil=True, cache=True)
def sum_word_order(words: Words, n_words: int) -> None:
    """Fills order_sums, from which come hashes of n-grams that know where each word ends."""
    total, power = uint64(0), uint64(1)
    for i in range(n_words):
        words.order_sums[i] = total
        total += mix(hash_words(words, i, 1)) * power
        power *= INVERSE
    words.order_sums[n_words] = total


@njit(nogil=True, cache=True)
def top_n_gram_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in all occurrences of the most frequent n-gram (the earliest of those that tie), spaces included."""
    n_grams = n_words - n + 1
    if n_grams < 1:
        return 0
    shift = clear(table, n_grams)
    best_count, best_first, power = 0, 0, uint64(1)
    for i in range(n_grams):
        key = max((words.order_sums[i + n] - words.order_sums[i]) * power, uint64(1))
        power *= BASE
        slot = find(table, shift, key)
        if table.keys[slot] == uint64(0):
            table.keys[slot], table.counts[slot], table.firsts[slot] = key, 0, i
        table.counts[slot] += 1
        count, first = int(table.counts[slot]), int(table.firsts[slot])
        if count > best_count or (count == best_count and first < best_first):
            best_count, best_first = count, first
    return best_count * (int(words.char_end[best_first + n]) - int(words.char_end[best_first]) + n - 1)


@njit(nogil=True, cache=True)
def duplicated_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in n-grams that occurred before; a counted n-gram is stepped over whole.

    Words are joined without spaces, as datatrove joins them, so "a bc" and "ab c" are the same.
    """
    n_grams = n_words - n + 1
    shift = clear(table, n_grams)
    n_chars, i = 0, 0
    while i < n_grams:
        if insert(table, shift, hash_words(words, i, n)):
            n_chars += words.char_end[i + n] - words.char_end[i]
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
