"""How much of a document repeats itself: its most frequent n-gram, and all of its duplicated n-grams.

Both count characters as datatrove's find_top_duplicate and find_all_duplicate do.
"""

from numba import njit, uint64

from curation.kernels.hashing import SPREAD, clear, find, insert, mix


@njit(nogil=True, cache=True)
def top_n_gram_chars(grams, n_grams, n, char_end, table):
    """Characters in all occurrences of the most frequent n-gram (the earliest of those that tie), spaces included."""
    shift = clear(table, n_grams)
    best_count, best_first = 0, 0
    for i in range(n_grams):
        key = max(grams[i], uint64(1))
        slot = find(table, shift, key)
        if table.keys[slot] == uint64(0):
            table.keys[slot], table.counts[slot], table.firsts[slot] = key, 0, i
        table.counts[slot] += 1
        count, first = table.counts[slot], table.firsts[slot]
        if count > best_count or (count == best_count and first < best_first):
            best_count, best_first = count, first
    return best_count * (char_end[best_first + n] - char_end[best_first] + n - 1) if n_grams else 0


@njit(nogil=True, cache=True)
def duplicated_chars(grams, n_grams, n, char_end, table):
    """Characters in n-grams that occurred before, spaces left out; a counted n-gram is stepped over whole."""
    shift = clear(table, n_grams)
    n_chars, i = 0, 0
    while i < n_grams:
        if insert(table, shift, grams[i]):
            n_chars += char_end[i + n] - char_end[i]
            i += n
        else:
            i += 1
    return n_chars


@njit(nogil=True, cache=True)
def measure_repetition(words, n_words, n_chars, grams, table, fracs):
    """Writes 9 shares of n_chars into fracs: the top 2- to 4-grams, then the duplicated 5- to 10-grams."""
    for i in range(n_words):
        grams[i] = mix(words.hashes[i])
    for n in range(2, 5):
        n_grams = max(0, n_words - n + 1)
        for i in range(n_grams):
            grams[i] = grams[i] * SPREAD + mix(words.hashes[i + n - 1])
        fracs[n - 2] = top_n_gram_chars(grams, n_grams, n, words.char_end, table) / n_chars
    # Duplicated n-grams are joined without spaces, so "a bc" and "ab c" are the same one.
    grams[:n_words] = words.hashes[:n_words]
    for n in range(2, 11):
        n_grams = max(0, n_words - n + 1)
        for i in range(n_grams):
            grams[i] = grams[i] * words.powers[i + n - 1] + words.hashes[i + n - 1]
        if n >= 5:
            fracs[n - 2] = duplicated_chars(grams, n_grams, n, words.char_end, table) / n_chars
