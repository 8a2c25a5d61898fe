// How long threads that wait for others keep their processor before they sleep. GNU's OpenMP, which
// reads that from the environment before main(), lets them spin for milliseconds: where a process of
// others is busy on each of two cores, two threads then train at two thirds of one thread's speed.
#pragma once

namespace hardmoe {

/// Starts the program again with GOMP_SPINCOUNT set, unless it or OMP_WAIT_POLICY is in the
/// environment already. Returns where there is nothing to do, or where it cannot.
void wait_briefly(char** argv);

}  // namespace hardmoe
