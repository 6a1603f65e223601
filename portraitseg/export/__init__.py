"""From a checkpoint to a file that ships: deploy graph, conversion, report, parity gate."""
