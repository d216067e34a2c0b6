"""qlik_simulator"""
