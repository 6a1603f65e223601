"""From a checkpoint to a file that ships: conversion, report, parity gate."""
