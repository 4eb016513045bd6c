from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("ledgerlake", deadline=None)
settings.load_profile("ledgerlake")
