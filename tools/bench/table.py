#!/usr/bin/env python3
"""Runs the benchmark programs in turns on this machine and prints the table of Duet's numbers.

usage: table.py DUET_BENCH LIMITS_PEER [TORCH_PEER] [--rounds N] [--record FILE]

Each program prints lines `name<TAB>value<TAB>threads`. The programs run in turns, several rounds, and
every number is the median over the rounds, so that a noisy minute of a shared machine falls on all
sides alike. A row says whether its bar is met; a missed row stays in the table.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile


def run(command, env=None):
    """{(name, threads): value} from one run of a program."""
    out = subprocess.run(command, env={**os.environ, **(env or {})}, check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    values = {}
    for line in out.splitlines():
        parts = line.split('\t')
        if len(parts) == 3:
            values[(parts[0], int(parts[2]))] = float(parts[1])
    return values


def measure(options):
    rounds = {'duet': [], 'limit': [], 'torch': []}
    for number in range(options.rounds):
        print(f'round {number + 1} of {options.rounds}', file=sys.stderr)
        one = run([options.duet], {'DUET_NUM_THREADS': '1'})
        two = run([options.duet, 'threads2'], {'DUET_NUM_THREADS': '2'})
        with tempfile.TemporaryDirectory() as cache:
            env = {'DUET_CACHE_DIR': cache, 'DUET_NUM_THREADS': '1'}
            one.update(run([options.duet, 'first_op'], env))
            one.update(run([options.duet, 'compile_cold'], env))
            one.update(run([options.duet, 'compile_cached'], env))
        rounds['duet'].append({**one, **two})
        rounds['limit'].append(run([options.limits]))
        if options.torch:
            rounds['torch'].append(run([options.torch]))
    return {side: {key: statistics.median(r[key] for r in runs if key in r)
                   for key in set().union(*runs)} if runs else {}
            for side, runs in rounds.items()}


def seconds(value):
    for unit, scale in (('s', 1), ('ms', 1e3), ('us', 1e6)):
        if value * scale >= 1:
            return f'{value * scale:.3g} {unit}'
    return f'{value * 1e9:.3g} ns'


class Table:
    def __init__(self, data):
        self.duet, self.limit, self.torch = data['duet'], data['limit'], data['torch']
        self.rows = []

    def row(self, what, threads, duet, against, ratio, bar, met):
        # The bars are stated for one thread; rows of two show how far a second one carries.
        if threads != 1:
            bar, met = '', None
        verdict = '' if met is None else 'met' if met else '**missed**'
        self.rows.append((what, str(threads), duet, against, ratio, bar, verdict))

    def absolute(self, what, name, bar, text, scale=1.0, threads=1, show=seconds):
        value = self.duet.get((name, threads))
        if value is None:
            return
        self.row(what, threads, show(value), '', '', text, value * scale <= bar)

    def speed_against(self, what, name, side, others, bar, text, threads=1, against=''):
        """Duet must be at least `bar` times as fast as the fastest of `others`."""
        values = getattr(self, side)
        found = [values[(o, threads)] for o in others if (o, threads) in values]
        mine = self.duet.get((name, threads))
        if mine is None:
            return
        if not found:
            self.row(what, threads, seconds(mine), f'{against}: not measured', '', text, None)
            return
        ratio = min(found) / mine
        self.row(what, threads, seconds(mine), f'{against} {seconds(min(found))}', f'{ratio:.2f}',
                 text, ratio >= bar if bar else None)


def build(data):
    t = Table(data)
    t.speed_against('eager add 2x2', 'add_2x2', 'torch', ['add_2x2'], 6, '>= 6 x LibTorch',
                    against='LibTorch')
    t.absolute('eager add 2x2, recorded on a tape', 'add_2x2_recorded', 350e-9, '<= 350 ns')
    t.absolute('executor, chain of 1,000 scalar ops, per node', 'scalar_chain_1000_per_node', 60e-9,
               '<= 60 ns a node', scale=1e-3, show=lambda v: seconds(v / 1000))
    t.absolute('Session::Run of one tiny op', 'session_run_tiny', 1e-6, '<= 1 us')
    for threads in (1, 2):
        t.speed_against('fused chain of 6 over 1 M', 'chain6_1m', 'limit',
                        ['chain6_1m_vector_library', 'chain6_1m_vector_exp'], 0.9,
                        '>= 0.9 x hand-fused loop', threads, 'hand-fused loop')
        t.speed_against('fused chain of 6 over 1 M', 'chain6_1m', 'torch', ['chain6_1m'], 5,
                        '>= 5 x LibTorch eager', threads, 'LibTorch')
        t.speed_against('eager add over 16 M', 'add_16m', 'limit', ['add_16m_warm'], 0.85,
                        '>= 0.85 x plain loop, warm', threads, 'plain loop')
        t.speed_against('MatMul 1000x1000', 'matmul_1000', 'limit',
                        ['matmul_1000_onednn', 'matmul_1000_openblas'], 0.95,
                        '>= 0.95 x the faster of oneDNN, OpenBLAS', threads, 'faster library')
        t.speed_against('MLP training step, traced', 'mlp_step_784_128_10_b32', 'torch',
                        ['mlp_step_784_128_10_b32'], 3, '>= 3 x LibTorch eager', threads, 'LibTorch')
        t.speed_against('linear regression step, traced', 'linear_step_2000', 'torch',
                        ['linear_step_2000'], 3, '>= 3 x LibTorch eager', threads, 'LibTorch')
    t.speed_against('MLP training step, eager', 'mlp_step_784_128_10_b32_eager', 'torch',
                    ['mlp_step_784_128_10_b32'], None, '', 1, 'LibTorch')
    t.speed_against('linear regression step, eager', 'linear_step_2000_eager', 'torch',
                    ['linear_step_2000'], None, '', 1, 'LibTorch')
    t.absolute('compile a fused kernel, cold', 'compile_chain6_cold', 10e-3, '<= 10 ms')
    t.absolute('compile a fused kernel, from disk', 'compile_chain6_cached', 0.3e-3, '<= 0.3 ms')
    t.absolute('compile the digits training step, cold', 'compile_digits_step_cold', 100e-3,
               '<= 100 ms')
    t.absolute('compile the digits training step, from disk', 'compile_digits_step_cached', 10e-3,
               '<= 10 ms')
    t.absolute('first eager op of a process, cold cache', 'first_eager_op', 30e-3, '<= 30 ms')
    t.absolute('compilations for a new batch size', 'new_batch_compilations', 0, '0',
               show=lambda v: f'{v:.0f}')
    t.absolute('planned memory over liveness bound, MLP step', 'memory_mlp_planned_over_liveness',
               1.1, '<= 1.1', show=lambda v: f'{v:.3f}')
    return t.rows


def render(rows):
    header = ('what', 'threads', 'Duet', 'beside', 'ratio', 'bar', '')
    widths = [max(len(r[i]) for r in rows + [header]) for i in range(len(header))]
    def line(r):
        return '| ' + ' | '.join(c.ljust(w) for c, w in zip(r, widths)) + ' |'
    return '\n'.join([line(header), '|' + '|'.join('-' * (w + 2) for w in widths) + '|'] +
                     [line(r) for r in rows])


def cpu():
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        fields = dict((part.strip() for part in line.split(':', 1)) for line in f if ':' in line)
    wide = 'AVX-512' if 'avx512f' in fields.get('flags', '') else 'AVX2' \
        if 'avx2' in fields.get('flags', '') else 'SSE2'
    return f"{fields.get('model name', 'unknown')}, {os.cpu_count()} cores, {wide}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('duet')
    parser.add_argument('limits')
    parser.add_argument('torch', nargs='?')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--record', help='write the table between the markers of this file')
    options = parser.parse_args()
    rows = build(measure(options))
    table = f'CPU: {cpu()}.\n\n{render(rows)}\n'
    print(table)
    missed = [r[0] for r in rows if 'missed' in r[-1]]
    print(f'{sum(r[-1] == "met" for r in rows)} bars met, {len(missed)} missed'
          + (': ' + ', '.join(missed) if missed else ''))
    if options.record:
        with open(options.record, encoding='utf-8') as f:
            text = f.read()
        begin, end = '<!-- table -->\n', '<!-- end of table -->'
        head, rest = text.split(begin, 1)
        tail = rest.split(end, 1)[1]
        with open(options.record, 'w', encoding='utf-8') as f:
            f.write(head + begin + table + end + tail)


if __name__ == '__main__':
    main()
